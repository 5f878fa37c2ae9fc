#!/bin/sh
# Runs while an image is built: mirrors in place of the archives that apt's sources name. Arguments: archive=URL …,
# where the archive is called by what its address ends in, such as debian or ubuntu. Certificates *.crt of the
# current folder vouch for https mirrors as long as the image has no bundle that does; see the end of the build.
set -eu

for mirror; do
    find /etc/apt -name '*.list' -o -name '*.sources' | while read -r file; do
        sed -Ei "s#[a-z+]+:[^ ]*/${mirror%%=*}(\.list)?/?( |\$)#${mirror#*=}\2#" "$file"
    done
done

cat /etc/ssl/certs/ca-certificates.crt ./*.crt >all.pem 2>/dev/null || :
if [ -s all.pem ]; then
    echo "Acquire::https::CAInfo \"$PWD/all.pem\";" >/etc/apt/apt.conf.d/00hubwright-build
fi
