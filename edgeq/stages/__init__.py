"""The steps of the flow, one a module: prepare, check, plan, build, predict, bench, judge."""
