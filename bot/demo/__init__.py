"""The demo's agent: a simulated `blog-writer` with its prompts, its tools and its traffic.

Pure and seeded: what comes in is a day, the prompts that are live and a seed; what goes out are trace
lines. Five problems are planted, each of the kind that a rule can find; the rest of the day is healthy.
"""
