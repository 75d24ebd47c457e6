"""Coverage by mutation: the share of small faults, put into a module one at a time, that its tests notice.

    python -m tests.mutation [PATHS] [--limit N] [--seed S]

Each mutant differs from its module in one comparison, operator, constant or condition (`mutants`). It is
written to a temporary copy of the repository, never to the checkout, and the module's tests run on it in a
fork of one process in which torch is imported already (`running`). A mutant is killed when a test fails or
the tests take several times as long as they should; the others are printed, file by file. Some survivors are
equivalent mutants, which compute the same: read each one before you write a test for it.

The tests of a module are the file of the same name, those that `files_for` adds to it, and the golden tests.
A test that takes more than `running.SLOW` seconds without a mutant is left out. PATHS are modules or folders;
the default is the numeric core, the identities, the publishing and the index. With `--limit` that many
mutants per module are drawn by the seed, the same in every run. A mutant takes one to five seconds of one
core.
"""
