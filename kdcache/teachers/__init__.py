"""Frozen networks that emit signals about views. A family is imported only when it is opened."""
