#!/usr/bin/env bash
# The tables of the paper's method on real data, in their form: the first queue (random, kmeans,
# coldstart on the map and on the embeddings, typiclust; two label counts) and the rounds after it
# (entropy-diversity with α 0, 0.5 and 1, and random; two rounds on one shared first queue).
#
#   scripts/paper_tables.sh DATA [WORK] [SET...]
#
# DATA holds cxr/{images,masks,metadata.csv} and hippocampus/{images,labels}; sets default to
# "cxr hippocampus". Projects and finished cells are kept in WORK (default: build/paper_tables), so
# the same call goes on where a killed one ended; reports go to docs/results/SET/rounds
# and docs/results/SET/first-queue.
# From the environment: COLDAL (the command), SEEDS (5), STEPS, SHARDS (1), DEVICE, RESULTS (where
# reports go), and CHECK=1 for one seed of two cells, to see that all is in place.
set -euo pipefail

usage() { sed -n '2,14s/^# \{0,1\}//p' "$0" >&2; exit 2; }
[ $# -ge 1 ] || usage
here=$(cd "$(dirname "$0")/.." && pwd)
data=$(realpath "$1")
work=$(realpath -m "${2:-$here/build/paper_tables}")
if [ $# -gt 2 ]; then sets=("${@:3}"); else sets=(cxr hippocampus); fi
read -ra coldal <<< "${COLDAL:-coldal-tui}"
results=$(realpath -m "${RESULTS:-$here/docs/results}")

more=()
[ -z "${STEPS:-}" ] || more+=(--steps "$STEPS")
[ -z "${DEVICE:-}" ] || more+=(--device "$DEVICE")

make_project() { # SET
  [ ! -f "$work/$1/coldal.toml" ] || return 0
  mkdir -p "$work"
  case $1 in
    cxr)
      "${coldal[@]}" init "$work/$1" --images "$data/cxr/images" --classes lung \
        --ignore-value 127 --patients "$data/cxr/metadata.csv" ;;
    hippocampus)
      "${coldal[@]}" init "$work/$1" --images "$data/hippocampus/images" \
        --classes anterior,posterior ;;
    *) echo "no such set: $1" >&2; exit 2 ;;
  esac
}

masks_of() { # SET
  if [ "$1" = cxr ]; then echo "$data/cxr/masks"; else echo "$data/hippocampus/labels"; fi
}

for set in "${sets[@]}"; do
  make_project "$set"
  if [ -n "${CHECK:-}" ]; then
    "${coldal[@]}" simulate "$work/$set" --masks "$(masks_of "$set")" --strategies coldstart \
      --budgets 20 --validation 2 --seeds 1 --seed 0 --no-full --out "$work/check-$set" \
      ${more[@]+"${more[@]}"}
    continue
  fi
  # The rounds come first: their first queue is scored as well, and the tables of the first queue
  # find it finished.
  run() { # NAME OPTION...
    local out="$results/$set/$1" file
    "${coldal[@]}" simulate "$work/$set" --masks "$(masks_of "$set")" "${@:2}" \
      --validation 2 --seeds "${SEEDS:-5}" --seed 0 --shards "${SHARDS:-1}" \
      --out "$out" ${more[@]+"${more[@]}"}
    for file in report.md results.json; do
      sed -i "s#$data#DATA#g" "$out/$file"
    done
  }
  run rounds --strategies entropy-diversity --start coldstart --round0 10 --rounds 2 --batch 10 \
    --alpha 0,0.5,1
  run first-queue --strategies kmeans,coldstart,coldstart-embeddings,typiclust --budgets 10,20
done
