"""MM7 (3GPP TS 23.140): multimedia messages through a carrier's MMS centre."""
