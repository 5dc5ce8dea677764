"""What comes from outside and means no good: octets, files, requests. Nothing here may hang, swell
or leave by an error that is not ours."""
