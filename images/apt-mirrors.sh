#!/bin/sh
# While an image is built, put mirrors in place of the archives in apt's sources. Arguments: archive=URL …, where an
# archive is named by the end of its address, such as debian or ubuntu. The certificates *.crt of the current folder
# are trusted for https mirrors as long as the image has no bundle with them; see the end of the build.
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
