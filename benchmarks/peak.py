"""python3 -I -S peak.py RESULT COMMAND...: runs a command and writes its peak memory in bytes to the file RESULT.

It imports next to nothing: what a process weighs when it starts another one is the least that the other can be found to
weigh.
"""

import os
import sys

result, *command = sys.argv[1:]
child = os.posix_spawn(command[0], command, os.environ)
_, status, usage = os.wait4(child, 0)
unit = 1 if sys.platform == "darwin" else 1024
with open(result, "w") as file:
    file.write(str(usage.ru_maxrss * unit))
sys.exit(os.waitstatus_to_exitcode(status) and 1)
