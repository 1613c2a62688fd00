from ._base import get_data_home
from ._ham10000 import fetch_isic2018_task3
from ._ham10000_masks import fetch_ham10000_masks
from ._image_folder import load_image_folder
from ._image_table import load_image_table
from ._isic2016_part2b import fetch_isic2016_part2b
from ._isic2016_part3 import fetch_isic2016_part3
from ._join_sources import join_sources
from ._mask_folder import load_mask_folder
from ._synthetic.dermoscopy import make_dermoscopy

__all__ = [
    "fetch_ham10000_masks",
    "fetch_isic2016_part2b",
    "fetch_isic2016_part3",
    "fetch_isic2018_task3",
    "get_data_home",
    "join_sources",
    "load_image_folder",
    "load_image_table",
    "load_mask_folder",
    "make_dermoscopy",
]
