"""CIFAR-100 as published."""

from kdcache.images.kinds.cifar10 import declared

KIND = declared("cifar100", "CIFAR-100")
