"""Containers as users know them: records, names, logs, monitors and the launcher, without a daemon.

General layout::

    location    where an engine's state lives
    settings    what the user asked for
    bundle      settings -> an OCI config.json, with `defaults`, `capabilities`, `security_options`,
                `binds`, `users`, `id_maps`, `network_files` and `host_view` for its parts
    further     what few containers ask for: `resources`, `devices`, `modes`, `init_program`, and what only the start
                tells (`late`: `cdi`, `host_mounts`, other `runtimes`)
    mounting    binds, volumes, memory and images to mount, as a `mount_plan`; `volume_store` keeps volumes with names
    container   the container directories and their records; `names` their names
    create      makes a container: with `image_root` and `image_settings` of an image, with `volumes` of its own
    start       hands a container to the launcher, which `launch` reaches or starts
    launcher    keeps a `monitor` ready, whose `starter` answers the door (`reception`) and makes the container
    pump        moves bytes between a container, its log and its client, who speak in `frames`
    repair      puts right what a crash left
    signalling, removal, execution, log_reader, inspection, commit, export   what users do to containers
    image_store where an engine's images are; `image_use` says which of them containers use
    own_namespace   an ordinary user's root, for whatever touches files of other ids

The file system is the database: any number of processes may use one engine at once.
"""
