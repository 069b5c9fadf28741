#!/bin/sh
# The other half of ArtifactCommit_Enter_50_edgeq, for cron on the machine where edgeq is, once a
# minute and board: where the board asks, OLD and NEW take turns there, and it gets the answer.
#
#     answer.sh [USER@]HOST TARGET OLD NEW RECIPE
#
# NEW is the .edgeq file that the update brings. Ends with 0 where nothing was asked or yes was
# said, 1 where no was said, else as edgeq does, and the board waits for the next time: 2 the input
# is wrong, 3 the board could not be reached or refused, 4 it cannot be told.
set -u
host=$1 target=$2 old=$3 new=$4 recipe=$5
folder=${EDGEQ_FOLDER:-/data/edgeq}

# Two lines, of which the second is empty until there is an answer.
said=$(ssh -n -o BatchMode=yes "$host" \
    "{ cat '$folder/question' && cat '$folder/answer'; } 2>/dev/null || :") || {
    echo "$host could not be asked" >&2
    exit 3
}
{
    read -r asked sum
    read -r answered _
} <<END
$said

END
if [ -z "$asked" ] || [ "$asked" = "$answered" ]; then
    exit 0
fi
if [ "$(sha256sum <"$new")" != "$sum  -" ]; then
    echo "$host has another model than $new" >&2
    exit 2
fi

edgeq compare "$old" "$new" --target "$target" --host "$host" --recipe "$recipe"
code=$?
case $code in
0) word=yes reason='nothing is worse' ;;
1) word=no reason="the model of $new is worse than $old: edgeq has said in what" ;;
*) exit $code ;;
esac
echo "$asked $word $reason" | ssh -o BatchMode=yes "$host" \
    "cd '$folder' && cat >answer.new && mv answer.new answer" || exit 3
exit $code
