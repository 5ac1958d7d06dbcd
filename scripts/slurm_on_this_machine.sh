#!/usr/bin/env bash
# A real Slurm of one node on loopback, for tests: slurmctld, slurmd and munged of Debian's
# slurm-wlm and munge, all files in one folder, without systemd. It keeps no accounts, or with the
# word "accounts" it does (slurmdbd and mariadb-server have to be there as well).
#
#   scripts/slurm_on_this_machine.sh start FOLDER [CPUS [accounts]]
#                                           then: export SLURM_CONF=FOLDER/slurm.conf
#   scripts/slurm_on_this_machine.sh stop FOLDER
#
# As root, jobs may be anybody's; as another user, the cluster runs that user's jobs alone.
set -euo pipefail

usage() { sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 2 ] || usage
PATH="$PATH:/usr/sbin:/sbin"
action=$1
dir=$(realpath -m "$2")
cpus=${3:-2}
accounts=${4:-}

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

wait_for() {
  local until=$((SECONDS + 30))
  while [ $SECONDS -lt $until ]; do
    if "$@" >/dev/null 2>&1; then return 0; fi
    sleep 0.2
  done
  echo "waited 30 s in vain for: $*" >&2
  tail -n 5 "$dir"/*.log >&2 || true
  return 1
}

start() {
  local needed="munged slurmctld slurmd sbatch"
  [ -z "$accounts" ] || needed="$needed slurmdbd mariadbd mariadb-install-db"
  for program in $needed; do
    command -v "$program" >/dev/null || {
      echo "$program is not installed: apt-get install slurm-wlm munge" \
        "${accounts:+slurmdbd mariadb-server}" >&2
      exit 3
    }
  done
  mkdir -p "$dir/state" "$dir/spool"
  # munged refuses a socket in a folder that others may write to.
  chmod 755 "$dir"
  local user node ctld_port d_port
  user=$(id -un)
  node=$(hostname -s)
  ctld_port=$(free_port)
  d_port=$(free_port)
  dbd_port=$(free_port)
  (umask 077 && head -c 1024 /dev/urandom > "$dir/munge.key")
  cat > "$dir/slurm.conf" <<CONF
ClusterName=here
SlurmctldHost=$node(127.0.0.1)
SlurmUser=$user
SlurmdUser=$user
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
CryptoType=crypto/munge
SlurmctldPort=$ctld_port
SlurmdPort=$d_port
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
$(accounting)
JobCompType=jobcomp/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
JobRequeue=1
ReturnToService=2
SlurmdParameters=config_overrides
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
KillWait=5
InactiveLimit=0
Waittime=0
NodeName=$node NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=2000 State=UNKNOWN
PartitionName=main Nodes=$node Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=$node MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
CONF
  munged --force --key-file="$dir/munge.key" --socket="$dir/munge.socket" \
    --pid-file="$dir/munged.pid" --log-file="$dir/munged.log" --seed-file="$dir/munged.seed"
  export SLURM_CONF="$dir/slurm.conf"
  [ -z "$accounts" ] || start_accounts "$user"
  slurmctld -c
  slurmd
  wait_for idle
  echo "$SLURM_CONF"
}

accounting() {
  if [ -z "$accounts" ]; then
    echo AccountingStorageType=accounting_storage/none
    return
  fi
  echo AccountingStorageType=accounting_storage/slurmdbd
  echo AccountingStorageHost=127.0.0.1
  echo "AccountingStoragePort=$dbd_port"
  # With munge this is no password: it says where its socket is.
  echo "AccountingStoragePass=$dir/munge.socket"
  # Finished jobs are soon forgotten by the controller itself.
  echo MinJobAge=2
}

start_accounts() {
  local user=$1
  mariadb-install-db --no-defaults --user="$user" --datadir="$dir/db" --skip-test-db \
    --auth-root-authentication-method=normal >"$dir/mariadb.log" 2>&1
  mariadbd --no-defaults --user="$user" --datadir="$dir/db" --socket="$dir/db.socket" \
    --pid-file="$dir/mariadbd.pid" --skip-networking --innodb-buffer-pool-size=16M \
    >>"$dir/mariadb.log" 2>&1 &
  wait_for mariadb-admin --no-defaults --socket="$dir/db.socket" --user=root ping
  mariadb --no-defaults --socket="$dir/db.socket" --user=root \
    --execute="CREATE DATABASE slurm_acct_db; CREATE USER slurm@localhost IDENTIFIED BY 'slurm';
               GRANT ALL ON slurm_acct_db.* TO slurm@localhost"
  cat > "$dir/slurmdbd.conf" <<CONF
AuthType=auth/munge
AuthInfo=socket=$dir/munge.socket
DbdHost=localhost
DbdAddr=127.0.0.1
DbdPort=$dbd_port
SlurmUser=$user
StorageType=accounting_storage/mysql
StorageHost=localhost
StoragePass=slurm
StorageUser=slurm
StorageLoc=slurm_acct_db
PidFile=$dir/slurmdbd.pid
LogFile=$dir/slurmdbd.log
CONF
  chmod 600 "$dir/slurmdbd.conf"
  # Its client library looks for the database's socket where the system has it.
  MYSQL_UNIX_PORT="$dir/db.socket" slurmdbd
  wait_for timeout 5 sacctmgr --noheader list cluster
  sacctmgr --immediate --quiet add cluster here >/dev/null
}

idle() { [ "$(timeout 5 sinfo --noheader --format=%T --partition=main)" = idle ]; }

no_jobs() { [ -z "$(timeout 10 squeue --noheader)" ]; }

ended() { ! kill -0 "$1" 2>/dev/null; }

stop() {
  export SLURM_CONF="$dir/slurm.conf"
  if [ -e "$dir/slurmctld.pid" ]; then
    timeout 10 scancel --me 2>/dev/null || true
    wait_for no_jobs || true
  fi
  local pid pids=()
  for daemon in slurmctld slurmd slurmdbd mariadbd munged; do
    [ ! -e "$dir/$daemon.pid" ] || pids+=("$(cat "$dir/$daemon.pid")")
  done
  kill "${pids[@]}" 2>/dev/null || true
  for pid in "${pids[@]}"; do
    wait_for ended "$pid" || kill -9 "$pid" 2>/dev/null || true
  done
}

case $action in
  start) start ;;
  stop) stop ;;
  *) usage ;;
esac
