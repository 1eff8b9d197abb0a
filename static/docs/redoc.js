"use strict";
// Starts Redoc on the OpenAPI document named by the page; a file of its own because the page allows no inline script.
(function () {
  const place = document.getElementById("docs");
  Redoc.init(place.dataset.openapi, { disableSearch: true, hideDownloadButtons: false, nativeScrollbars: true }, place);
})();
