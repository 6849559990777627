"""How long a container takes and what it costs in memory, beside the other runtimes and engines.

``python -m bench`` (or ``make bench``) runs everything. The parts::

    __main__     options, and what is run in which order
    targets      the ratios that orlop has set itself
    report       medians, ratios and the Markdown tables
    time_taken   start-to-exit times, contestants taking turns
    memory       what idle containers cost
    contestants  who takes part; a new one is one function there
    engines      private instances of dockerd and podman
    workspace    the root file system, the bundle and the floor program
    processes    starting programs, and knowing every process that they leave behind
"""
