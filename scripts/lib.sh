# Shared by the scripts here; sourced from the top of the checkout.

venv=${GOTOOLFORGE_VENV:-.venv}

find_python() {
  for name in python3.14 python3.13 python3.12 python3.11 python3; do
    if command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  echo "$0: needs Python 3.11 or newer on PATH" >&2
  exit 1
}

# make_venv EXTRAS: gotoolforge, editable, with these extras.
make_venv() {
  python=$(find_python)
  if ! [ -x "$venv/bin/python" ]; then
    "$python" -m venv "$venv" || {
      echo "$0: this Python cannot make virtual environments (Debian: apt-get install python3-venv)" >&2
      exit 1
    }
  fi
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -e ".[$1]"
}

# install_packages NAME...: with apt-get, as root or by a sudo that asks nothing.
install_packages() {
  command -v apt-get >/dev/null 2>&1 || return 1
  as_root=
  if [ "$(id -u)" != 0 ]; then
    sudo -n true 2>/dev/null || return 1
    as_root="sudo -n"
  fi
  $as_root apt-get update -qq >&2 || true
  $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "$@" >&2
}
