"""How often the tests inject each fault: they count, and tests/README.md has the same numbers.

Where the number of occasions depends on the code under test (how often it writes, say) it is a lower bound.
"""

from tests.commands.test_verify import DAMAGES

# Processes killed by signal 9, and nodes with all their processes, at random moments of whole runs
KILLED = {"training actor": 3, "align actor": 3, "driver": 1, "tracking server": 1, "node": 1}
# Drivers that are killed as soon as the first trial is done: of a local root, and of one in object storage
DRIVERS = 2
# Nodes that are killed as soon as the first trial, and the first tile of barriers, is done
NODES = 2
# Changes of the store before each of which the process that makes them is killed: a write is two, the
# temporary file and its renaming
WRITES = {
    "training, batchnorm": 16,
    "training, chain": 40,
    "training, adamw": 16,
    "aligning and comparing": 4,
    "publishing": 32,
    "importing": 10,
    "tracking": 3,
}
# How often a pair that can never be computed is tried
ATTEMPTS = {"raise": 1, "hang": 3, "kill": 3}
# Objects damaged in the middle of a run, by a flipped bit and by truncation
DAMAGED = {"checkpoint": 2, "alignment": 2, "resume point": 2}
# Requests to object storage that are answered by 503, or whose connection is cut in mid-upload or mid-answer
REQUESTS_TO_STORAGE = 30
# Requests to the tracking server that change something, before each of which it dies
REQUESTS = 20

TABLE = {  # the rows of tests/README.md
    "a training process is killed": KILLED["training actor"],
    "an align worker is killed": KILLED["align actor"],
    "the driver is killed": KILLED["driver"] + DRIVERS,
    "a whole node is killed": KILLED["node"] + NODES,
    "the tracking server is killed": KILLED["tracking server"],
    "killed between two writes": sum(WRITES.values()),
    "a pair raises, hangs, or kills its process": sum(ATTEMPTS.values()),
    "an object is damaged during a run": sum(DAMAGED.values()),
    "an object or table is damaged at rest": len(DAMAGES),
    "object storage answers 503, or cuts a connection": REQUESTS_TO_STORAGE,
    "the tracking server dies between two requests": REQUESTS,
}
