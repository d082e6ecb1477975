"""From a finished file to a tagged, kept one."""
