#!/bin/sh
# Before a removal: "remove" for a deb, 0 for an rpm. An upgrade stops nothing.
set -e
case "$1" in
remove | 0) ;;
*) exit 0 ;;
esac

if [ -d /run/systemd/system ]; then
	systemctl disable --now callstitch.service callstitch-receive.service || echo "does callstitch still run?" >&2
fi
