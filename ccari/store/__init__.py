"""PostgreSQL through asyncpg. What a method does that is a port's is said there, in ``ccari/ports``; here is said what only concerns
how it is done.
"""
