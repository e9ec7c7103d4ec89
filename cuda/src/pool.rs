//! How GPU memory is shared out. Pure: the driver appears behind [`Slab`] alone.
