"""Networks of containers: records, addresses, devices, names, ports and the host's firewall."""
