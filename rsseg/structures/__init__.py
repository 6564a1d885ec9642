"""Pure array functions, one module per noun: boxes, confusion matrices, masks, windows."""
