"""How a process that trains holds its memory. glibc and torch read it from the environment when the process starts."""

KEEP_MEMORY = {
    # Each step allocates the activations that the step before has freed. glibc returns large ones to the system at once, which
    # clears them page by page when they are asked for anew: up to a third of a ViT-B/16's step on a CPU.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "1000000000000",
    "THP_MEM_ALLOC_ENABLE": "1",  # torch asks for pages of 2 MB
}
