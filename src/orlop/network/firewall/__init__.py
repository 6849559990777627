"""The host's rules for the bridge networks of one engine, in tables of its own: `firewall` changes them."""
