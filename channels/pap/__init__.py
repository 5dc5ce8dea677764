"""Push Access Protocol 1.0 and 2.0: WAP push through a carrier's push proxy gateway."""
