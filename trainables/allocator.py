"""How a process that trains holds its memory. glibc and torch read it from the environment when the process starts."""

KEEP_MEMORY = {
    # Each step allocates the activations that the step before has freed. By itself glibc returns large ones to the system at once,
    # which clears their pages when they are asked for again (docs/decisions/0012-speed.md).
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1099511627776",  # 1 TiB
    "MALLOC_ARENA_MAX": "1",  # Ray trains in a thread, and what belongs to a thread alone keeps no piece above 64 MB
    "THP_MEM_ALLOC_ENABLE": "1",  # torch asks for pages of 2 MB
}
