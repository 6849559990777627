"""Containers as users know them: records, names, logs, monitors and the launcher, without a daemon.

General layout::

    location    where an engine's state lives
    settings    what the user asked for
    bundle      settings -> an OCI config.json, with `defaults`, `capabilities`, `security_options`,
                `binds`, `users`, `id_maps`, `network_files` and `host_view` for its parts
    store       the container directories and their records; `names` their names
    start       hands a container to the launcher; `launcher` forks a `monitor` for it
    repair      puts right what a crash left
    stop, kill, remove, execute, log_reader   what users do to containers

The file system is the database: any number of processes may use one engine at once.
"""
