#!/bin/sh
# Make a virtual environment with pip in FOLDER: make_venv.sh FOLDER
# Takes the first Python 3.11 or 3.12 that runs. Debian ships python3 without the wheel of pip that `python3 -m venv`
# needs (package python3-venv): then virtualenv or Debian's own package with that wheel is used, without installing it.
set -eu
folder=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

python=
for name in ${PYTHON:-python3.11 python3.12 python3}; do
    if "$name" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
        python=$name
        break
    fi
done
if [ -z "$python" ]; then
    echo "motorque needs Python 3.11 or 3.12 and finds neither; install one, or name it: make PYTHON=/path/to/python3.11" >&2
    exit 1
fi

rm -rf "$folder"
if "$python" -m venv "$folder" >"$work/log" 2>&1; then exit 0; fi
rm -rf "$folder"
if "$python" -m virtualenv --quiet "$folder" >>"$work/log" 2>&1; then exit 0; fi
rm -rf "$folder"

debian_pip() {
    command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || return 1
    (
        cd "$work"
        apt-get -qq download python3-pip-whl || { apt-get -qq update && apt-get -qq download python3-pip-whl; }
        dpkg-deb --extract python3-pip-whl_*.deb .
    ) || return 1
    "$python" -m venv --without-pip "$folder" || return 1
    # A wheel is a zip archive that Python can run from: pip installs itself.
    wheel=$(ls "$work"/usr/share/python-wheels/pip-*.whl) || return 1
    "$folder/bin/python" "$wheel/pip" install --quiet --no-index "$wheel"
}
if debian_pip >>"$work/log" 2>&1; then exit 0; fi
rm -rf "$folder"
tail -n 3 "$work/log" >&2
echo "$python cannot make a virtual environment; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2
exit 1
