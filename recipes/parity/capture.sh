#!/bin/sh
# Captures what changes how a Go program runs on this machine, as one JSON document on stdout.
# Needs a POSIX shell, sed, tr, cat and /proc; changes nothing, and leaves nothing behind.
#
#   sh capture.sh [--pid N] [--root DIR] [--proc DIR] [--sys DIR] [--sysctl GLOB]...
#
# A line "V key value" is a value, "U key reason" what could not be found out.
LC_ALL=C
export LC_ALL
pid=self root= proc=/proc sys=/sys globs=
while [ $# -gt 0 ]; do
  case $1 in
    --pid) pid=$2 ;;
    --root) root=${2%/} ;;
    --proc) proc=$2 ;;
    --sys) sys=$2 ;;
    --sysctl) globs="$globs $2" ;;
    *) echo "capture: unknown word: $1" >&2; exit 2 ;;
  esac
  shift 2
done
if ! [ -d "$proc/$pid" ]; then
  echo "capture: no process $pid in $proc (ended, or hidden from this user by hidepid)" >&2
  exit 3
fi

# Forks are what a capture costs: as few as can be.
newline='
'
put() { # several lines become one; blanks are joined at the end
  case $2 in *"$newline"*) set -- "$1" "$(printf '%s' "$2" | tr '\n' ' ')" ;; esac
  printf 'V %s %s\n' "$1" "$2"
}
miss() { printf 'U %s %s\n' "$1" "$2"; }
why() {
  if ! [ -e "$1" ]; then echo "there is no $1"
  elif ! [ -r "$1" ]; then echo "$1: not readable by this user"
  else echo "$1: reading it fails"; fi
}
from() { # KEY FILE: the file's content
  if text=$(cat "$2" 2>/dev/null); then put "$1" "$text"; else miss "$1" "$(why "$2")"; fi
}
chosen() { # KEY FILE: the word in brackets
  if text=$(cat "$2" 2>/dev/null); then
    text=${text#*\[}; put "$1" "${text%%\]*}"
  else miss "$1" "$(why "$2")"; fi
}

kernel() {
  from kernel.release "$proc/sys/kernel/osrelease"
  put kernel.arch "$(uname -m)"
  name=$(sed -n 's/^PRETTY_NAME=//p' "$root/etc/os-release" 2>/dev/null | tr -d '"')
  if [ -n "$name" ]; then put os.name "$name"; else miss os.name "no PRETTY_NAME in $root/etc/os-release"; fi
}

libc() {
  # glibc first: a machine of glibc may have musl's loader beside it, hardly the other way round.
  version=
  [ -n "$root" ] || version=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed -n 's/^glibc //p')
  for file in "$root"/lib/libc.so.6 "$root"/lib64/libc.so.6 "$root"/lib/*/libc.so.6 \
    "$root"/usr/lib/libc.so.6 "$root"/usr/lib64/libc.so.6 "$root"/usr/lib/*/libc.so.6; do
    [ -n "$version" ] && break
    [ -r "$file" ] || continue
    version=$(grep -a -o 'GNU C Library.*version [0-9.]*' "$file" 2>/dev/null | sed -n '1s/.*version \([0-9]*\.[0-9]*\).*/\1/p')
  done
  if [ -n "$version" ]; then put libc.kind glibc; put libc.version "$version"; return; fi
  for loader in "$root"/lib/ld-musl-*.so.1; do
    [ -e "$loader" ] || [ -L "$loader" ] || continue
    put libc.kind musl
    version=$(sed -n '/^P:musl$/,/^$/s/^V:\([0-9.]*\).*/\1/p' "$root/lib/apk/db/installed" 2>/dev/null)
    # Nothing out of another root is run.
    if [ -z "$version$root" ]; then version=$("$loader" 2>&1 | sed -n 's/^Version //p'); fi
    if [ -n "$version" ]; then put libc.version "$version"; else miss libc.version "$loader does not say"; fi
    return
  done
  miss libc.kind "neither getconf, nor a libc.so.6, nor a loader of musl in ${root:-/}"
  miss libc.version "the libc is unknown"
}

limits() {
  if ! text=$(cat "$proc/$pid/limits" 2>/dev/null); then
    miss rlimit.nofile.hard "$(why "$proc/$pid/limits")"
    return
  fi
  printf '%s\n' "$text" | while read -r line; do
    case $line in
      "Max cpu time"*) name=cpu rest=${line#Max cpu time} ;;
      "Max file size"*) name=fsize rest=${line#Max file size} ;;
      "Max data size"*) name=data rest=${line#Max data size} ;;
      "Max stack size"*) name=stack rest=${line#Max stack size} ;;
      "Max core file size"*) name=core rest=${line#Max core file size} ;;
      "Max resident set"*) name=rss rest=${line#Max resident set} ;;
      "Max processes"*) name=nproc rest=${line#Max processes} ;;
      "Max open files"*) name=nofile rest=${line#Max open files} ;;
      "Max locked memory"*) name=memlock rest=${line#Max locked memory} ;;
      "Max address space"*) name=as rest=${line#Max address space} ;;
      "Max file locks"*) name=locks rest=${line#Max file locks} ;;
      "Max pending signals"*) name=sigpending rest=${line#Max pending signals} ;;
      "Max msgqueue size"*) name=msgqueue rest=${line#Max msgqueue size} ;;
      "Max nice priority"*) name=nice rest=${line#Max nice priority} ;;
      "Max realtime priority"*) name=rtprio rest=${line#Max realtime priority} ;;
      "Max realtime timeout"*) name=rttime rest=${line#Max realtime timeout} ;;
      *) continue ;;
    esac
    # shellcheck disable=SC2086
    set -- $rest
    put "rlimit.$name.soft" "$1"
    put "rlimit.$name.hard" "$2"
  done
}

group_path() { # CONTROLLER ("" for v2): the process's cgroup in that hierarchy
  sed -n "s/^[0-9]*:\([^:]*,\)*$1\(,[^:]*\)*:\(.*\)/\3/p" "$proc/$pid/cgroup" 2>/dev/null | sed -n 1p
}
# CONTROLLER-FOLDER PATH FILE: the smallest number in FILE from the process's group up to the root.
smallest() {
  here=$2 best=max seen=
  [ -d "$1$here" ] || here=
  while :; do
    if value=$(cat "$1$here/$3" 2>/dev/null); then
      seen=yes
      case $3 in
        cpu.max) period=${value#* } value=${value%% *}
          [ "$value" = max ] || value=$((value * 1000 / period)) ;;
        cpu.cfs_quota_us) if [ "$value" -lt 0 ]; then value=max
          else value=$((value * 1000 / $(cat "$1$here/cpu.cfs_period_us"))); fi ;;
      esac
      # v1 says "no limit" as the greatest multiple of a page.
      case $value in max | ???????????????????*) ;; *)
        if [ "$best" = max ] || [ "$value" -lt "$best" ]; then best=$value; fi ;;
      esac
    fi
    [ -n "${here#/}" ] || break
    here=${here%/*}
  done
  [ -n "$seen" ] && echo "$best"
}
group() { # KEY V1-CONTROLLER V1-FILE V2-FILE
  if ! cat "$proc/$pid/cgroup" >/dev/null 2>&1; then miss "$1" "$(why "$proc/$pid/cgroup")"; return; fi
  if [ -e "$sys/fs/cgroup/cgroup.controllers" ]; then base=$sys/fs/cgroup path=$(group_path '') file=$4
  else base=$sys/fs/cgroup/$2 path=$(group_path "$2") file=$3; fi
  if value=$(smallest "$base" "$path" "$file"); then put "$1" "$value"
  # The root group of v1 and v2 has no such file: nothing limits there.
  elif [ -d "$base" ]; then put "$1" max
  else miss "$1" "there is no $base"; fi
}
groups() {
  if [ -e "$sys/fs/cgroup/cgroup.controllers" ]; then put cgroup.version v2
  elif [ -d "$sys/fs/cgroup/memory" ] || [ -d "$sys/fs/cgroup/cpu" ]; then put cgroup.version v1
  else miss cgroup.version "no cgroup is mounted at $sys/fs/cgroup"; fi
  group cgroup.cpu.milli cpu cpu.cfs_quota_us cpu.max
  group cgroup.memory.max memory memory.limit_in_bytes memory.max
  group cgroup.pids.max pids pids.max pids.max
}

sysctls() {
  for glob in vm/max_map_count 'vm/overcommit_*' vm/swappiness vm/mmap_min_addr fs/file-max fs/nr_open fs/aio-max-nr \
    'fs/inotify/*' 'fs/pipe-*' 'fs/protected_*' kernel/pid_max kernel/threads-max \
    'kernel/*userns*' 'kernel/unprivileged_bpf_disabled' 'kernel/io_uring_*' 'kernel/yama/*' \
    'kernel/perf_event_paranoid' 'kernel/randomize_va_space' 'kernel/core_pattern' 'kernel/seccomp/actions_avail' \
    'user/max_*_namespaces' net/core/somaxconn net/core/bpf_jit_enable net/core/netdev_max_backlog 'net/core/[rw]mem_*' \
    net/ipv4/ip_local_port_range net/ipv4/ip_unprivileged_port_start net/ipv4/tcp_max_syn_backlog \
    net/ipv4/tcp_fin_timeout net/ipv4/tcp_tw_reuse net/ipv4/tcp_syncookies 'net/ipv4/tcp_keepalive_*' \
    'net/ipv4/tcp_[rw]mem' net/ipv4/tcp_congestion_control net/ipv6/bindv6only 'net/ipv6/conf/all/disable_ipv6' \
    net/netfilter/nf_conntrack_max $globs; do
    # shellcheck disable=SC2231
    for file in "$proc"/sys/$glob; do
      key=${file#"$proc"/sys/}
      # A pattern without a match stays as it is; a plain name without a file is worth a reason.
      case $key in *[*[]*) continue ;; esac
      name=sysctl rest=$key
      while [ "$rest" != "${rest#*/}" ]; do name=$name.${rest%%/*} rest=${rest#*/}; done
      name=$name.$rest
      from "$name" "$file"
    done
  done
}

machine() {
  chosen thp.enabled "$sys/kernel/mm/transparent_hugepage/enabled"
  chosen thp.defrag "$sys/kernel/mm/transparent_hugepage/defrag"
  from clock.source "$sys/devices/system/clocksource/clocksource0/current_clocksource"
  from clock.available "$sys/devices/system/clocksource/clocksource0/available_clocksource"
  from cpu.online "$sys/devices/system/cpu/online"
  memory=$(sed -n 's/^MemTotal: *\([0-9]*\) kB/\1/p' "$proc/meminfo" 2>/dev/null)
  if [ -n "$memory" ]; then put memory.total_kib "$memory"; else miss memory.total_kib "$(why "$proc/meminfo")"; fi
}

status() { # KEY FIELD: a line of /proc/PID/status
  value=$(sed -n "s/^$2:[[:space:]]*//p" "$proc/$pid/status" 2>/dev/null)
  if [ -n "$value" ]; then put "$1" "$value"; else miss "$1" "no $2 in $proc/$pid/status for this user"; fi
}
security() {
  status security.seccomp Seccomp
  status security.no_new_privs NoNewPrivs
  status security.cap_effective CapEff
  status security.cap_bounding CapBnd
  status cpu.allowed Cpus_allowed_list
  label=$(cat "$proc/$pid/attr/current" 2>/dev/null | tr -d '\000')
  # Without a security module the file is not there, or reading it fails.
  if [ -d "$proc/$pid" ]; then put security.label "${label:-none}"
  else miss security.label "$(why "$proc/$pid")"; fi
  if [ -r "$sys/fs/selinux/enforce" ]; then from security.selinux_enforcing "$sys/fs/selinux/enforce"
  else put security.selinux_enforcing no; fi
  if [ -r "$sys/module/apparmor/parameters/enabled" ]; then
    from security.apparmor "$sys/module/apparmor/parameters/enabled"
  else put security.apparmor N; fi
}

environment() {
  # Another process's own variables: a key is there only if it is set.
  for name in GOMAXPROCS GOMEMLIMIT GOGC GODEBUG; do
    if [ "$pid" = self ]; then eval "value=\${$name-unset}"
    elif text=$(tr '\000' '\n' 2>/dev/null <"$proc/$pid/environ"); then
      value=$(printf '%s\n' "$text" | sed -n "s/^$name=//p"); value=${value:-unset}
    else miss "env.$name" "$(why "$proc/$pid/environ")"; continue; fi
    put "env.$name" "$value"
    if [ "$name" = GOMAXPROCS ]; then processors "$value"; fi
  done
}

processors() { # what GOMAXPROCS is for a Go program, with go 1.25 in its go.mod and before
  list=$(sed -n 's/^Cpus_allowed_list:[[:space:]]*//p' "$proc/$pid/status" 2>/dev/null)
  if [ -z "$list" ]; then
    for key in go.maxprocs go.maxprocs_before_1_25; do miss $key "no Cpus_allowed_list in $proc/$pid/status"; done
    return
  fi
  count=0
  for part in $(printf '%s' "$list" | tr , ' '); do
    count=$((count + ${part#*-} - ${part%-*} + 1))
  done
  procs=$count quota=
  # Go reads the group that the process is in, and none above it (src/runtime/cgroup_linux.go).
  here=$(group_path cpu) base=$sys/fs/cgroup/cpu
  if [ -d "$base$here" ]; then
    quota=$(cat "$base$here/cpu.cfs_quota_us" 2>/dev/null) period=$(cat "$base$here/cpu.cfs_period_us" 2>/dev/null)
  else
    text=$(cat "$sys/fs/cgroup$(group_path '')/cpu.max" 2>/dev/null)
    quota=${text% *} period=${text#* }
  fi
  case $quota in '' | max | -*) ;; *)
    share=$(((quota + period - 1) / period))
    if [ "$share" -lt 2 ]; then share=2; fi
    if [ "$share" -lt "$procs" ]; then procs=$share; fi ;;
  esac
  case $1 in [1-9]*) procs=$1 count=$1 ;; esac
  put go.maxprocs "$procs"
  put go.maxprocs_before_1_25 "$count"
}

files() {
  for pair in nameserver:nameservers search:search options:options; do
    text=$(sed -n "s/^${pair%:*}[[:space:]]*//p" "$root/etc/resolv.conf" 2>/dev/null)
    if [ -e "$root/etc/resolv.conf" ]; then put "resolver.${pair#*:}" "${text:-none}"
    else miss "resolver.${pair#*:}" "there is no $root/etc/resolv.conf"; fi
  done
  text=$(sed -n 's/^hosts:[[:space:]]*//p' "$root/etc/nsswitch.conf" 2>/dev/null)
  put resolver.nsswitch_hosts "${text:-none}"
  found=no
  for file in etc/ssl/certs/ca-certificates.crt etc/pki/tls/certs/ca-bundle.crt etc/ssl/ca-bundle.pem etc/ssl/cert.pem; do
    [ -e "$root/$file" ] && found=yes
  done
  put files.certificates "$found"
  if [ -d "$root/usr/share/zoneinfo" ]; then put files.zoneinfo yes; else put files.zoneinfo no; fi
}

version_of() { # KEY PROGRAM: the first version number that it says
  if ! command -v "$2" >/dev/null 2>&1; then miss "$1" "$2 is not on PATH"; return; fi
  text=$("$2" --version 2>/dev/null | sed -n 's/[^0-9]*\([0-9][0-9.]*[0-9][-0-9a-z.+]*\).*/\1/p' | sed -n 1p)
  if [ -n "$text" ]; then put "$1" "$text"; else miss "$1" "$2 --version says nothing"; fi
}
containers() {
  kind=none
  if [ -e /.dockerenv ]; then kind=docker
  elif [ -e /run/.containerenv ]; then kind=podman
  elif [ -n "$KUBERNETES_SERVICE_HOST" ]; then kind=kubernetes
  elif [ -n "$container" ]; then kind=$container; fi
  put container.kind "$kind"
  version_of version.docker docker
  version_of version.containerd containerd
  version_of version.runc runc
  version_of version.crun crun
  text=$(runc --version 2>/dev/null | sed -n 's/^libseccomp: *//p')
  for file in /usr/lib/*/libseccomp.so.2.* /lib/*/libseccomp.so.2.* /usr/lib64/libseccomp.so.2.* /usr/lib/libseccomp.so.2.*; do
    [ -z "$text" ] && [ -e "$file" ] && text=${file##*.so.}
  done
  if [ -n "$text" ]; then put version.libseccomp "$text"; else miss version.libseccomp "no runc and no libseccomp.so.2 seen"; fi
}

#PROBES#

probed() { # the static probe of this architecture, run from a folder that may hold programs
  no_probe() { miss 'syscall.*' "$1"; miss clock.vdso "$1"; miss userns.create "$1"; }
  name=$(uname -m)
  case $name in i?86) name=i386 ;; armv[78]l) name=armv7l ;; esac
  eval "text=\${probe_$name-}"
  if [ -z "$text" ]; then no_probe "this script carries no probe for $name (parity script --arch $name)"; return; fi
  if ! command -v base64 >/dev/null 2>&1; then no_probe "there is no base64 to unpack the probe with"; return; fi
  said="no folder to write a program to"
  for folder in "${TMPDIR:-/tmp}" /dev/shm /var/tmp /run "$HOME"; do
    scratch=$folder/.gotoolforge-probe-$$
    (umask 077 && mkdir "$scratch") 2>/dev/null || continue
    if printf '%s' "$text" | base64 -d >"$scratch/probe" 2>/dev/null && chmod 700 "$scratch/probe"; then
      if lines=$("$scratch/probe" 2>/dev/null); then said=; else said="the probe does not run from $folder (noexec, or not permitted)"; fi
    fi
    rm -f "$scratch/probe"
    rmdir "$scratch"
    [ -z "$said" ] && break
  done
  if [ -n "$said" ]; then no_probe "$said"; else printf '%s\n' "$lines" | sed 's/^/V /'; fi
}

capture() {
  put capture.process "$pid"
  put capture.time "$(date -u +%Y-%m-%dT%H:%M:%SZ 2>/dev/null)"
  kernel; libc; limits; groups; sysctls; machine; security; environment; files; containers; probed
  # Last, and on the same way as all the rest: without it the document is not whole.
  if [ -d "$proc/$pid" ]; then put capture.complete yes; fi
}

printf '{"kind": "gotoolforge-parity", "version": 1, "entries": {\n'
capture | tr '\t' ' ' | tr -d '\000-\011\013-\037\177' | sed -e 's/   */ /g' -e 's/\\/\\\\/g' -e 's/"/\\"/g' \
  -e 's/ *$//' -e 's/^V \([^ ]*\) *\(.*\)$/"\1": {"value": "\2"},/' -e 's/^U \([^ ]*\) \(.*\)$/"\1": {"unknown": "\2"},/' \
  -e '/^"capture.complete"/s/,$/}}/'
if ! [ -d "$proc/$pid" ]; then
  echo "capture: process $pid has ended meanwhile: what was said of it is not whole" >&2
  exit 3
fi
