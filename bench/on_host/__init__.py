"""Programs of the bench that run on the lab's hosts: standard library only, JSON in and out."""
