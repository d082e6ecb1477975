"""FastAGI: the gate and the rights menu for dialplans that do not use Stasis."""
