"""The project as it is deployed: wheel, processes, images, manifests."""
