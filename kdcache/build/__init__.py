"""Run a teacher once over all images: check the request, plan, try one batch, build the missing parts."""
