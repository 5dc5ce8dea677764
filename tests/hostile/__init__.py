"""What comes from outside and means no good: octets, files, requests. Nothing here may hang, swell or\nleave by an error that is not ours."""
