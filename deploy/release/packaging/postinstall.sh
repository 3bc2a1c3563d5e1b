#!/bin/sh
# After an installation or an upgrade. A deb is told "configure [OLD VERSION]", an rpm
# how many versions are there now.
set -e
case "$1" in
configure | 1 | 2) ;;
*) exit 0 ;;
esac

systemd-sysusers callstitch.conf
# systemd would make it at the first start; check looks at it before.
install -d -o callstitch -g callstitch -m 0750 /var/lib/callstitch

# Nothing is started that did not run: it needs your configuration first. What runs is
# replaced, one unit after the other, and hands over to its successor within seconds.
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload
	for unit in callstitch.service callstitch-receive.service; do
		systemctl try-restart "$unit" || echo "$unit does not start: journalctl -u $unit" >&2
	done
fi
