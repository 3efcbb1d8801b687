"""One run: what is asked for, what is built, what is said and what it leaves."""
