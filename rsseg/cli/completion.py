"""Print a script by which bash or zsh complete the commands of rsseg, their options, and values that have a choice.

rsseg completion bash > ~/.local/share/bash-completion/completions/rsseg
rsseg completion zsh > ~/.rsseg_completion    # then, in ~/.zshrc: source ~/.rsseg_completion

New shells use it. Write it again after an update of rsseg.
"""

from __future__ import annotations

from rsseg.commands import make_parser, write_result


def main() -> None:
    """Write the script."""
    parser = make_parser(__doc__)
    parser.add_argument("shell", choices=("bash", "zsh"))
    args = parser.parse_args()
    from rsseg.cli import COMMANDS, command_parser
    from rsseg.completion import completion_script

    parsers = {name: parser if name == "completion" else command_parser(name) for name in COMMANDS}
    write_result(completion_script(parsers, args.shell), None)
