# Which header to -include before one of GCC's own sources: the includes with which it begins, which
# are then read from a precompiled header. Reading them anew is a fifth of the compiler's time.
#
#     precompile.sh COMPILER WORD...
#
# Prints nothing for a source that begins otherwise. GCC's headers mean different things in different
# orders and after IN_TARGET_CODE, so only whole beginnings are taken, each with the options of its
# sources: what is compiled is what would be without. They are kept in the folder FORGE_HEADERS, or
# beside sources of the current folder, for which headers there have other names in __FILE__.
compiler=$1
shift
source=
value=
for word; do
  shift
  case $value$word in
  -o | -MT | -MF) value=of- ;;
  of-*) value= ;;
  -c | -MMD | -MP) ;;
  *.cc) source=$word ;;
  *) set -- "$@" "$word" ;;
  esac
done
test -n "$source" || exit 0

# The longest of the beginnings below. (Pragmas about warnings say nothing to a compiler that does not
# warn.)
begins=$(awk '
  NR == FNR { known[$0] = 1; next }
  inside { if (!sub(/.*\*\//, "")) next; inside = 0 }
  { gsub(/\/\*([^*]|\*+[^*\/])*\*+\//, "") }
  sub(/\/\*.*/, "") { inside = 1 }
  { sub(/\/\/.*/, "") }
  !NF || /^#pragma GCC diagnostic/ { next }
  $1 == "#include" && $2 ~ /^"/ && NF == 2 { name = $2; gsub(/"/, "", name); found = 1 }
  $1 == "#define" && (NF == 2 || NF == 3 && $3 == 1) { name = $2; found = 1 }
  !found { exit }
  { seen = seen (seen ? " " : "") name; text = text $0 "\n"; found = 0 }
  seen in known { begins = text }
  END { printf "%s", begins }
' - "$source" <<'END'
config.h system.h coretypes.h
config.h system.h coretypes.h backend.h
config.h system.h coretypes.h backend.h rtl.h df.h
config.h system.h coretypes.h backend.h rtl.h tree.h
config.h system.h coretypes.h backend.h rtl.h tree.h gimple.h
config.h system.h coretypes.h backend.h target.h rtl.h tree.h
config.h system.h coretypes.h backend.h target.h tree.h gimple.h
config.h system.h coretypes.h backend.h tree.h gimple.h
config.h system.h coretypes.h cp-tree.h
config.h system.h coretypes.h target.h cp-tree.h
config.h system.h coretypes.h tm.h tree.h
config.h INCLUDE_MEMORY system.h coretypes.h make-unique.h tree.h
config.h INCLUDE_MEMORY system.h coretypes.h tree.h
gimple-match-auto.h
generic-match-auto.h
IN_TARGET_CODE config.h system.h coretypes.h backend.h rtl.h tree.h
IN_TARGET_CODE config.h system.h coretypes.h backend.h predict.h tree.h rtl.h
END
)
test -n "$begins" || exit 0

case $source in
*/*) folder=$FORGE_HEADERS/ from=${source%/*} ;;
*) folder= from= ;;
esac
key=$(printf '%s\n' "$*" "$from" "$begins" | cksum)
header=${folder}forge-${key%% *}.h
if ! test -f "$header.gch"; then
  # It takes longer than the one source saves, so not for the first; and one of two jobs makes it.
  mkdir "$header.once" 2>/dev/null && exit 0
  mkdir "$header.made" 2>/dev/null || exit 0
  printf '%s\n' "$begins" >"$header" &&
    FORGE_HEADERS= "$compiler" -c "$@" -x c++-header "$header" -o "$header.new" 2>/dev/null &&
    mv "$header.new" "$header.gch" || exit 0
fi
printf '%s\n' "$header"
