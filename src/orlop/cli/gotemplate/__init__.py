"""Go's text/template, as much of it as people give to ``--format``.

`lexer` cuts the text into tokens, `parser` makes `statements` and `expressions` of them, which run themselves;
`functions` are those that a template may call, `values` and `printf` print as Go prints. `orlop.cli.template` is how
the rest of orlop uses it.
"""
