"""Pure array functions, one module per noun; import them from their modules."""

__all__: list[str] = []
