# Sourced by each finding: `finding "PACKAGES" PROGRAM EXPECTED` installs, runs and compares.
set -euo pipefail

finding() {
  local packages=$1 program=$2 expected=$3 folder seen
  folder=$(mktemp -d)
  trap "rm -rf '$folder'" EXIT
  "${PYTHON:-python3}" -m venv "$folder/venv"
  # shellcheck disable=SC2086 (packages are words)
  "$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check $packages
  seen=$(cd "$folder" && PYTHONHASHSEED=0 "$folder/venv/bin/python" -c "$program")
  echo "$seen"
  compare "$expected" "$seen"
}

compare() {
  local difference
  difference=$(diff <(echo "$1") <(echo "$2")) && return
  echo "differs from what was seen (<) when the finding was written:" >&2
  echo "$difference" >&2
  return 1
}
