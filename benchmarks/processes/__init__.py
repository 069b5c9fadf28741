"""Programs that are measured, each in a process of its own: `python -m ... '{arguments}'`.

Arguments come as JSON, the answer goes out as the last line of standard output.
"""
