//! Setting text layers over a picture: shaping, fitting, painting.
