"""`dicmor bench`: how long a step takes, where the time goes, and how far the machine's limit is.

Each case runs in a process of its own (`worker`), beside a 2048-cube matrix product that is timed in turns with
it: what counts is the ratio of the two, because it depends little on the machine and on what else runs there. The
parts: `cases` (what is run), `measure` (one case), `scaling` (curves), `profiling` (where the time goes), `suite`
(all of it), `targets` and `report` (tables).
"""
