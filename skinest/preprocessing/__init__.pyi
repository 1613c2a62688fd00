from ._color_constancy import ColorConstancy

__all__ = ["ColorConstancy"]
