"""What CMPP, SMGP and SGIP share: the protocols between service providers and the gateways of
China's carriers."""
