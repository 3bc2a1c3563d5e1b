#!/bin/sh
# After a removal: "remove" or "purge" for a deb, 0 for an rpm; and after an upgrade.
set -e
case "$1" in
remove | purge | 0)
	if [ -d /run/systemd/system ]; then
		systemctl daemon-reload
	fi
	;;
esac

# Providers were told that the events in the spool are taken: only who has looked deletes
# them. The rest of the directory is a name, and tokens of feeds. Users stay, as their files may.
if [ "$1" = purge ]; then
	if [ -n "$(find /var/lib/callstitch/spool -type f ! -name lock 2>/dev/null)" ]; then
		echo "/var/lib/callstitch/spool has events that Kafka has not taken: it is left" >&2
		find /var/lib/callstitch -mindepth 1 -maxdepth 1 ! -name spool -exec rm -rf {} +
	else
		rm -rf /var/lib/callstitch
	fi
fi
