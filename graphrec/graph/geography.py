"""Coordinates on the globe as tensors: unit vectors, distances, Fourier features."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float32
from torch import Tensor

EARTH_RADIUS_KM = 6371.0088
FOURIER_SCALES_KM = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 64.0, 512.0)
"""Wavelengths of the place features, from a street to a country."""
PLACE_FEATURES = 8 * len(FOURIER_SCALES_KM)
"""Sine and cosine along four directions at each wavelength."""

MIN_EXPONENT = -80.0
"""Exponents below are clamped: e^x is zero there for all purposes, and subnormal float32 are ten times slower."""


def unit_vectors(coordinates: Float32[Tensor, "*batch 2"]) -> Float32[Tensor, "*batch 3"]:
    """Points of the unit sphere from coordinates in degrees; NaN stays NaN."""
    latitude, longitude = torch.deg2rad(coordinates).unbind(-1)
    return torch.stack((latitude.cos() * longitude.cos(), latitude.cos() * longitude.sin(), latitude.sin()), dim=-1)


def squared_chord(a: Float32[Tensor, "*#batch 2"], b: Float32[Tensor, "*#batch 2"]) -> Tensor:
    """Squared straight line through the unit sphere between coordinates in degrees, which broadcast; NaN stays NaN."""
    return (unit_vectors(a) - unit_vectors(b)).square().sum(-1)


def distance_km(a: Float32[Tensor, "*#batch 2"], b: Float32[Tensor, "*#batch 2"]) -> Tensor:
    """Great-circle distance in kilometres between coordinates in degrees, which broadcast; NaN stays NaN."""
    return chord_to_km(squared_chord(a, b))


def chord_to_km(chord_squared: Tensor) -> Tensor:
    """Great-circle distance in kilometres from the squared chord between two unit vectors, same shape."""
    return 2 * EARTH_RADIUS_KM * torch.asin((chord_squared.clamp(0, 4).sqrt() / 2).clamp(max=1))


def distance_features(km: Float32[Tensor, "*batch"], dim: int = -1) -> Float32[Tensor, "*with_four"]:
    """Exponential decays of a distance at 0.15, 1 and 5 km, and a falling logarithm; zeros where the distance is NaN.

    ``dim`` is the axis of the four features in the result.
    """
    decays = [(km * (-1 / scale)).clamp(min=MIN_EXPONENT).exp() for scale in (0.15, 1.0, 5.0)]
    features = torch.stack((*decays, 1 - km.log1p() / 5), dim)
    return features.nan_to_num_(nan=0.0)


def place_features(coordinates: Float32[Tensor, "n 2"]) -> Float32[Tensor, "n features"]:
    """Sine and cosine of north and east kilometres at several wavelengths; zero rows where unknown.

    East is measured at each point's own latitude. Fourier features: Tancik et al. 2020, arXiv 2006.10739.
    """
    known = ~torch.isnan(coordinates).any(-1, keepdim=True)
    latitude, longitude = torch.deg2rad(torch.where(known, coordinates, 0).double()).unbind(-1)
    north = EARTH_RADIUS_KM * latitude
    east = EARTH_RADIUS_KM * longitude * latitude.cos()
    scales = torch.tensor(FOURIER_SCALES_KM, dtype=torch.float64, device=coordinates.device)
    phase = torch.stack((north, east, north + east, north - east), -1)[..., None] * (math.pi / scales)  # [n, 4, scales]
    waves = torch.cat((phase.sin(), phase.cos()), -1).flatten(-2)
    return (waves * known).float()


def has_coordinates(coordinates: Float32[Tensor, "*batch 2"]) -> Bool[Tensor, "*batch"]:
    """Whether both latitude and longitude are known."""
    return ~torch.isnan(coordinates).any(-1)
