#!/bin/sh
# A roll-out from a shell, for cron or a pipeline: look at the fleet, roll out, say what came of it.
#
#     rollout.sh RECIPE FLEET STRATEGY
#
# Ends as edgeq does: 0 all healthy, 1 the release is bad, 2 the input is wrong, 3 devices are in
# trouble or were put off, 4 it waits for somebody.
set -u
recipe=$1 fleet=$2 strategy=$3

edgeq fleet check "$fleet" || echo "not all devices are ready: see above; the others go on"

edgeq rollout start "$recipe" --fleet "$fleet" --strategy "$strategy"
code=$?

case $code in
0) echo "every device has the release" ;;
1) echo "the release does worse: devices that were not begun keep what they run" ;;
3) echo "mend what is named above, then: edgeq rollout retry ID" ;;
4) echo "look at what is named above, then: edgeq rollout resume ID" ;;
esac
exit $code
