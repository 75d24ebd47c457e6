"""How often the tests inject each fault; the README's table says the same."""

# Processes killed by signal 9 at random moments of whole runs
KILLED = {"training actor": 6, "align actor": 6, "driver": 2, "tracking server": 2, "node": 4}
# Objects damaged in the middle of a run, by a flipped bit and by truncation
DAMAGED = {"checkpoint": 2, "alignment": 2, "resume point": 2}
# Requests to the tracking server that change something, before each of which it dies
REQUESTS = 30
# Changes of the store before each of which the process that makes them is killed: a write is two, the
# temporary file and its renaming
WRITES = {
    "training, batchnorm": 16,
    "training, chain": 40,
    "training, adamw": 16,
    "aligning and comparing": 4,
    "publishing": 36,
    "importing": 10,
    "tracking": 2,
}
# Requests to object storage that are answered by 503, or whose connection is cut in mid-upload or mid-answer
REQUESTS_TO_STORAGE = 30
# Nodes that are killed as soon as the first trial, and the first tile of barriers, is done
NODES = 2
